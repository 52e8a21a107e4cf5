/** What a cause is: a mechanism that fails a connection, or makes it come out other than meant. */
export interface CauseEntry {
  /** How code and people call it; lower camel case, unique. */
  readonly name: string;
  readonly title: string;
  /** One sentence: the mechanism. The page docs/causes/CODE.md says the rest. */
  readonly explanation: string;
  /**
   * `connection`: a walk shows it. `manifest`: objects show it before there is traffic, and no single connection does.
   */
  readonly shownBy: 'connection' | 'manifest';
}
