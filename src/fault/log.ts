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
