/** Cells of a table; the first row is its head. */
export type Rows = readonly (readonly string[])[];

/** Renders rows as a Markdown table that also reads well in a terminal; columns of figures are set to the right. */
export function renderTable(rows: Rows): string {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const isFigure = head.map((_, column) => body.length > 0 && body.every((row) => /^[-\d.]+$/.test(row[column] ?? "")));
  const line = (row: readonly string[]) => {
    const cells = widths.map((width, column) => {
      const cell = row[column] ?? "";
      return isFigure[column] ? cell.padStart(width) : cell.padEnd(width);
    });
    return `| ${cells.join(" | ")} |`;
  };
  const rule = widths.map((width, column) => `${"-".repeat(width - 1)}${isFigure[column] ? ":" : "-"}`);
  return [line(head), line(rule), ...body.map(line)].join("\n");
}
