import type { ConfigWarning } from "../config-types.ts";
import type { Path } from "../document/path.ts";
import { warning } from "../document/warning.ts";
import { isOn } from "../policies/policy.ts";
import { formatMs } from "../values/duration.ts";
import { DEFAULT_WEB_SOCKET, type WebSocketInput } from "../policies/web-socket.ts";

/** Where WebSockets are written: the top level, or a route. */
interface Level {
  readonly webSocket?: WebSocketInput | undefined;
  readonly methods?: readonly string[] | undefined;
}

/** What the WebSockets of one level say that has no effect. */
export function webSocketWarnings(path: Path, { webSocket, methods }: Level): readonly ConfigWarning[] {
  if (webSocket !== true && !isOn(webSocket)) return [];
  const at = [...path, "webSocket"];
  const ofMethods =
    methods?.includes("GET") === false
      ? [warning(at, "no handshake comes here: GET is not among the route's methods")]
      : [];
  if (webSocket === true) return ofMethods;
  const { callback, sessionsPerPrincipal, idle, maxLifetime, held } = webSocket;
  const again = held?.upstreamReconnect;
  const hasPrincipals = sessionsPerPrincipal === undefined || sessionsPerPrincipal === false;
  return [
    ...ofMethods,
    ...(["fromClient", "fromUpstream"] as const).flatMap((side) => burstWarnings([...at, side], webSocket[side], side)),
    ...(callback?.pong !== undefined && callback.ping === undefined
      ? [warning([...at, "callback", "pong"], 'nothing is answered: there is no "ping"')]
      : []),
    ...(typeof again === "object" && (again.skipAnswers ?? 0) > 0 && (again.replayFirst ?? 0) === 0
      ? [warning([...at, "held", "upstreamReconnect", "skipAnswers"], 'nothing is skipped: there is no "replayFirst"')]
      : []),
    ...slipWarning([...at, "idle"], idle),
    ...slipWarning([...at, "maxLifetime"], maxLifetime),
    ...slipWarning([...at, "held", "hold"], held?.hold),
    ...(hasPrincipals
      ? []
      : [
          warning(
            [...at, "sessionsPerPrincipal"],
            "nothing identifies clients yet: until authentication acts, nobody is counted",
          ),
        ]),
  ];
}

/** Seconds that were written as a number end every session at once. */
function slipWarning(path: Path, ms: number | undefined): readonly ConfigWarning[] {
  if (ms === undefined || ms >= 1_000) return [];
  const message = `is ${formatMs(ms)}, hardly what was meant: a number counts milliseconds, and seconds are written "${ms}s"`;
  return [warning(path, message)];
}

function burstWarnings(
  path: Path,
  written: Exclude<WebSocketInput, boolean>["fromClient"],
  side: "fromClient" | "fromUpstream",
): readonly ConfigWarning[] {
  if (written === undefined) return [];
  const { messagesPerSecond, bytesPerSecond } = { ...DEFAULT_WEB_SOCKET[side], ...written };
  return [
    { rate: "messagesPerSecond", burst: "messageBurst", bounded: messagesPerSecond },
    { rate: "bytesPerSecond", burst: "byteBurst", bounded: bytesPerSecond },
  ].flatMap(({ rate, burst, bounded }) =>
    Object.hasOwn(written, burst) && (bounded === undefined || bounded === false)
      ? [warning([...path, burst], `nothing is bounded: there is no "${rate}"`)]
      : [],
  );
}
