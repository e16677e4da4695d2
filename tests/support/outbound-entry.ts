/** The object classes that wrangler.jsonc names; nothing here calls them. */
export class CircuitBreaker {
  fetch(): Response {
    return new Response();
  }
}

export class ControlPlane {
  fetch(): Response {
    return new Response();
  }
}

export class Dedup {
  fetch(): Response {
    return new Response();
  }
}

export class RateLimiter {
  fetch(): Response {
    return new Response();
  }
}

export class Rollout {
  fetch(): Response {
    return new Response();
  }
}

export class SocketRegistry {
  fetch(): Response {
    return new Response();
  }
}

export class UpstreamQuota {
  fetch(): Response {
    return new Response();
  }
}

export class WebSocketRelay {
  fetch(): Response {
    return new Response();
  }
}

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
