/** The bindings of the bench's Workers. */
export interface BenchEnv {
  /** `host:port` of the fast origin. */
  readonly ORIGIN: string;
}

/** The least that a Worker can do to pass a request on. */
export function forward(request: Request, env: BenchEnv): Promise<Response> {
  const url = new URL(request.url);
  url.host = env.ORIGIN;
  return fetch(new Request(url, request));
}
