/** What daemons tell their operator; where it goes is decided by whoever starts them. */
export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with fields added to every line. */
  with(fields: LogFields): Log;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * A log of `time level message key=value` lines.
 * @param write takes one line with its newline
 * @param now gives the time of a line
 */
export function lineLog(write: (line: string) => void, now: () => Date, fields: LogFields = {}): Log {
  const line = (level: string) => (message: string, more?: LogFields) => {
    const pairs = Object.entries({ ...fields, ...more })
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${quote(String(value))}`);
    write(`${now().toISOString()} ${level} ${message}${pairs.join('')}\n`);
  };
  return {
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    with: (more) => lineLog(write, now, { ...fields, ...more }),
  };
}

const quote = (text: string) => (/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text));

/** The fields that tell an exception: its message, and its stack where it is a defect of ours rather than an answer. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) };
  const isDefect =
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return isDefect ? { error: error.message, stack: error.stack } : { error: error.message };
}
