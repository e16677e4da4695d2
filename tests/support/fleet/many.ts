import { Lane } from "./lane.ts";

/** Requests to be sent as fast as they are answered. */
export interface Many {
  /** One for each isolate; they take the same number of requests each. */
  readonly urls: readonly string[];
  readonly requests: number;
  /** How many at a time. A multiple of the number of isolates. */
  readonly connections: number;
  /** The bytes of the request of a number; bodies included. */
  readonly request: (number: number) => string;
}

/** Sends them all and resolves to how many ended with each status; 0 are those that got no answer. */
export async function sendMany({
  urls,
  requests,
  connections,
  request,
}: Many): Promise<Readonly<Record<number, number>>> {
  const statuses: Record<number, number> = {};
  const one = async (place: number): Promise<void> => {
    const lane = new Lane(urls[place % urls.length] ?? "");
    for (let number = place; number < requests; number += connections) {
      const status = await lane.ask(request(number));
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
    lane.close();
  };
  await Promise.all(Array.from({ length: connections }, (_, place) => one(place)));
  return statuses;
}
