/** Thrown where a walk meets what is not modelled. */
export class Unmodelled extends Error {
  readonly rule: string | undefined;
  /** `file:line` of the rule. */
  readonly place: string | undefined;

  constructor(what: string, rule?: string, place?: string) {
    super(what);
    this.rule = rule;
    this.place = place;
  }

  /** The same with the rule in which it was met, unless it knows one. */
  in(rule: string, place: string | undefined): Unmodelled {
    return this.rule === undefined ? new Unmodelled(this.message, rule, place) : this;
  }
}
