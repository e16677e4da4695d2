import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { isKeeper, newBridge, relayAt } from "../../objects/web-socket-relay/relay-stub.ts";

const bridges = env.WEB_SOCKET_BRIDGE;
const relays = env.WEB_SOCKET_RELAY;

/** As the local runtime has the class without storage. */
const local = {
  WEB_SOCKET_RELAY: relays,
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it has one method there
  WEB_SOCKET_BRIDGE: { get: (name: string) => `local ${name}` } as unknown as typeof bridges,
};

describe("the object of a session", () => {
  it("is found by its id, whichever class it is of", () => {
    for (const namespace of [bridges, relays]) {
      const id = namespace.newUniqueId();
      expect(relayAt(env, id.toString()).id.equals(id)).toBe(true);
    }
  });

  it("has an id of its own", () => {
    const object = newBridge(env);
    expect(object).not.toBe(newBridge(env));
    expect(relayAt(env, object).id.toString()).toBe(object);
  });

  it("goes by any name of the same kind where its class has no storage", () => {
    const object = newBridge(local);
    expect(object).toMatch(/^[0-9a-f]{64}$/);
    expect(relayAt(local, object)).toBe(`local ${object}`);
    const id = relays.newUniqueId();
    expect(relayAt(local, id.toString()).id.equals(id)).toBe(true);
    expect([object, id.toString()].map((one) => isKeeper(local, one))).toEqual([false, true]);
  });

  it.each(["", "session", "f".repeat(63), "G".repeat(64)])("is not sought by what is no id: %s", (text) => {
    expect(() => relayAt(env, text)).toThrow("no id of a relay");
    expect(() => relayAt(local, text)).toThrow("no id of a relay");
  });

  it("is not sought by an id of another class", () => {
    expect(() => relayAt(env, env.DEDUP.newUniqueId().toString())).toThrow("ID");
  });
});
