import { addresses } from "../../objects/address.ts";
import type { HeldTerms } from "../../objects/web-socket-relay/held/held-terms.ts";
import { resumeRequest, withoutResume } from "../../objects/web-socket-relay/resume/resume-request.ts";
import type { HeldSettings } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { namingSecret } from "../limits/client-address.ts";
import { isUpgrade } from "./upgrade.ts";

/** Which session a request asks for, and how. */
export interface HeldAsk {
  readonly terms: HeldTerms;
  /** The request's URL without what is the gateway's own in it. */
  readonly url: string;
  /** Of the object; undefined: the client has named no session, and gets one that nobody else can name. */
  readonly name: string | undefined;
  /** What operators and origins know the session by, which tells nobody how to resume it. */
  readonly session: string;
}

/** What is between client and gateway, and of which the origin sees only what the gateway says itself. */
export const HELD_FIELDS = ["x-ws-session", "x-ws-recv", "x-ws-epoch", "x-ws-reconnect"];

const PUBLIC_LENGTH = 32;

/** Whether a request that is no handshake asks what is known of a session. */
export function asksStatus({ canonical, fields }: Exchange): boolean {
  const isJson = fields.get("accept")?.includes("application/json") === true;
  return canonical.method === "GET" && isJson && /(?:^|[?&])_ws_session=/.test(canonical.query);
}

/**
 * Reads what a request says of its session. The session's object is named by a hash of its id alone, so whoever it does not belong to
 * reaches the same one, and is refused there.
 *
 * @throws GatewayError `invalid-request`.
 */
export async function askHeld(exchange: Exchange, settings: HeldSettings): Promise<HeldAsk> {
  const { request, route, principal, client, env } = exchange;
  const [path = "", ...rest] = request.url.split("?");
  const query = rest.join("?");
  const asked = resumeRequest(new URLSearchParams(query), request.headers);
  if (typeof asked === "string") throw new GatewayError("invalid-request", { detail: `${asked}.` });
  const kept = withoutResume(query);
  const url = kept === "" ? path : `${path}?${kept}`;
  const { holdMs, ringMessages, ringBytes, resumeOn1001, durable, reconnect } = settings;
  const terms = {
    isStatus: !isUpgrade(exchange),
    recv: asked?.recv ?? null,
    control: asked?.control ?? false,
    ...(asked?.hello === true ? { hello: true } : {}),
    holdMs,
    ring: { messages: ringMessages, bytes: ringBytes },
    resumeOn1001,
    durable,
    reconnect: reconnect ?? null,
  };
  if (asked === undefined)
    return { terms: { ...terms, owner: null }, url, name: undefined, session: crypto.randomUUID() };
  const owners = addresses(namingSecret(env));
  // An address is nobody's name: clients come back from other networks.
  const whose = principal === client.address ? [] : [principal];
  const [{ name }, owner] = await Promise.all([
    owners.heldSocket([asked.session]),
    owners.heldSocket(["owner", route.route.id, ...whose]),
  ]);
  return { terms: { ...terms, owner: owner.name }, url, name, session: name.slice(-PUBLIC_LENGTH) };
}
