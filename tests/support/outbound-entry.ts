/** Stands for the object classes that wrangler.jsonc names; nothing here calls them. */
class Nothing {
  fetch(): Response {
    return new Response();
  }
}

export {
  Nothing as CircuitBreaker,
  Nothing as ControlPlane,
  Nothing as Dedup,
  Nothing as RateLimiter,
  Nothing as Rollout,
  Nothing as SocketRegistry,
  Nothing as UpstreamQuota,
  Nothing as WebSocketBridge,
  Nothing as WebSocketRelay,
};

/** Fetches the URL in the query and answers with what became of it: what a Worker can reach is the runtime's decision. */
export default {
  async fetch(request: Request): Promise<Response> {
    const target = new URL(request.url).searchParams.get("url") ?? "";
    try {
      const response = await fetch(target);
      return Response.json({ status: response.status, body: await response.text() });
    } catch {
      return Response.json({ refused: true });
    }
  },
};
