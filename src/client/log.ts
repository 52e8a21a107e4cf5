/** Where a daemon tells what it does. Messages start in lower case and name the object they are about. */
export interface Log {
  info(message: string): void;
  warn(message: string, error?: unknown): void;
  error(message: string, error?: unknown): void;
}

/** One line a message on standard error, as the daemons' journals read. */
export function stderrLog(component: string): Log {
  const line = (level: string, message: string, error?: unknown) => {
    const why = error === undefined ? '' : `: ${messageOf(error)}`;
    process.stderr.write(`${new Date().toISOString()} ${level} ${component}: ${message}${why}\n`);
  };
  return {
    info: (message) => line('info', message),
    warn: (message, error) => line('warn', message, error),
    error: (message, error) => line('error', message, error),
  };
}

/** What an exception says, with its stack where it is a defect rather than an answer. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isDefect =
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return isDefect ? (error.stack ?? error.message) : error.message;
}
