/** How the runtime names the console method that made a line. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
}

/**
 * Writes the Worker's lines: `console.log` to stdout, `console.warn` and `console.error` to stderr. Lines of one turn of
 * the event loop go out in one write: stdout is synchronous for pipes, and a system call a line would cost more than the request.
 */
export function logWriter(): (line: LogLine) => void {
  const toStdout = batched(process.stdout);
  const toStderr = batched(process.stderr);
  return ({ level, message }) => (level === "warn" || level === "error" ? toStderr : toStdout)(message);
}

function batched(stream: NodeJS.WriteStream): (line: string) => void {
  let lines: string[] = [];
  const flush = () => {
    stream.write(`${lines.join("\n")}\n`);
    lines = [];
  };
  return (line) => {
    if (lines.push(line) === 1) setImmediate(flush);
  };
}
