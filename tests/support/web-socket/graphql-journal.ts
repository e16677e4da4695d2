/** Letters over and over, as large texts of cases are made of. */
const RUNS = /r+|x+|y+/g;

/** What one side of a connection saw, a line each, in its order. */
export class Journal {
  readonly lines: string[] = [];
  readonly #waiting = new Set<() => void>();

  /** Adds a line of these words; what is undefined or empty is none. */
  write(...words: readonly unknown[]): void {
    const told = words.filter((word) => word !== undefined && word !== "");
    const line = told.map((word) => (typeof word === "string" ? word : JSON.stringify(word))).join(" ");
    this.lines.push(line.replace(RUNS, (run) => (run.length < 100 ? run : `${run.charAt(0)}*${run.length}`)));
    for (const look of this.#waiting) look();
  }

  /** Adds a line for a message of graphql-transport-ws: its type, id and payload. */
  message(data: { toString(): string }): void {
    const { type, id, payload } = { ...Object(JSON.parse(data.toString())) };
    this.write(type, id, payload);
  }

  /** How many lines begin with this word. */
  count(word: string): number {
    return this.lines.filter((line) => line.startsWith(word)).length;
  }

  /** Resolves once there are so many lines that begin with it. */
  has(word: string, times = 1): Promise<void> {
    return this.until(() => this.count(word) >= times);
  }

  /** Resolves once it holds, which is looked at after each line. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
    });
  }
}
