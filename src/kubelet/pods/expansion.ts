/**
 * `$(NAME)` in commands, arguments and values of environment variables (core/v1 Container). A name that is not known stays
 * as it is written; `$$` is a dollar, so `$$(NAME)` is not expanded.
 */
export function expand(text: string, known: ReadonlyMap<string, string>): string {
  return text.replace(/\$\$|\$\(([^()\s]+)\)/g, (all, name: string | undefined) =>
    name === undefined ? '$' : (known.get(name) ?? all),
  );
}
