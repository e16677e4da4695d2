import type { BenchEnv } from "./forward.ts";

const HEAD_MS = 10_000;

/**
 * A gateway without a thought: it makes the runtime do what the gateway promises of every exchange, and decides nothing.
 * The client's fields read and mended, a deadline, a short body that arrived whole, our fields on the answer, a log line.
 * What it costs over the bare Worker is the price of the promises; what the gateway costs over it is the gateway.
 */
export default {
  async fetch(request, env) {
    const receivedAt = Date.now();
    const names: string[] = [];
    request.headers.forEach((_, name) => names.push(name));
    const url = new URL(request.url);
    const address = String(request.cf?.["clientIp"]);
    const requestId = crypto.randomUUID();
    const headers = new Headers(request.headers);
    for (const name of names) if (name === "host" || name === "connection") headers.delete(name);
    headers.set("x-forwarded-for", address);
    headers.set("x-forwarded-proto", "http");
    headers.set("x-forwarded-host", url.host);
    headers.set("forwarded", `for=${address};host="${url.host}";proto=http`);
    headers.set("x-request-id", requestId);
    url.host = env.ORIGIN;
    const answered = fetch(url, { method: request.method, headers, redirect: "manual", encodeResponseBody: "manual" });
    const origin = await Promise.race([answered, late()]);
    const response = new Response(await origin.arrayBuffer(), origin);
    response.headers.set("x-request-id", requestId);
    response.headers.set("x-response-time", String(Date.now() - receivedAt));
    console.log(JSON.stringify({ time: receivedAt, requestId, method: request.method, path: url.pathname, address }));
    return response;
  },
} satisfies ExportedHandler<BenchEnv>;

function late(): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new Error("late")), HEAD_MS));
}
