/** What the standard says of the constructor. */
type Standard = (new (url: string | URL, protocols?: string | string[]) => WebSocket) & {
  readonly prototype: WebSocket;
};

/** What a probe may use: a constructor, and an origin that echoes, chooses the last protocol and closes with 4000 when it is told `close`. */
type Probe = (Socket: Standard, echo: string) => unknown;

/**
 * Questions to which a drop-in has to give the answers of the platform's own WebSocket. Each stands alone, since pages get its source text;
 * what comes of it can be written as JSON.
 */
export const STANDARD_PROBES: Readonly<Record<string, Probe>> = {
  "constants, on the constructor, the prototype and each socket": (Socket, echo) => {
    const socket = new Socket(echo);
    socket.close();
    return ["CONNECTING", "OPEN", "CLOSING", "CLOSED"].map((name) => [
      Object.getOwnPropertyDescriptor(Socket, name),
      Object.getOwnPropertyDescriptor(Socket.prototype, name),
      Reflect.get(socket, name),
      Object.keys(socket),
    ]);
  },

  "members of the prototype": (Socket) =>
    [
      "url,readyState,bufferedAmount,extensions,protocol,onopen,onmessage,onerror,onclose,binaryType,close,send",
    ].flatMap((names) =>
      names.split(",").map((name) => {
        const found = Object.getOwnPropertyDescriptor(Socket.prototype, name);
        return [name, typeof found?.get, typeof found?.set, typeof found?.value];
      }),
    ),

  "what there is before it is open": (Socket, echo) => {
    const socket = new Socket(echo);
    socket.close();
    const { bufferedAmount, extensions, protocol, binaryType, onopen, onmessage, onerror, onclose, url } = socket;
    return [bufferedAmount, extensions, protocol, binaryType, onopen, onmessage, onerror, onclose, url];
  },

  "URLs and protocols that are refused": (Socket, echo) => {
    const urls = ["ftp://a/", "ws://a/#", "ws://a/#b", "ws://", "http://", "ws://a:99999/", "ws://a b/", "mailto:a"];
    const protocols: (string | string[])[] = ["", "a b", ["a", "a"], [""], ["a", "b,c"], "ä"];
    const tried = [
      ...urls.map((url) => ({ url, names: undefined })),
      ...protocols.map((names) => ({ url: echo, names })),
    ];
    return tried.map(({ url, names }) => {
      try {
        new Socket(url, names).close();
        return [names ?? url, "taken"];
      } catch (error) {
        return [names ?? url, error instanceof DOMException, error instanceof Error ? error.name : ""];
      }
    });
  },

  "URLs that are taken": (Socket, echo) => {
    const { host } = new URL(echo);
    return [`http://${host}/a?b`, `WS://${host}`, new URL(`ws://${host}/c d`)].map((url) => {
      const socket = new Socket(url);
      socket.close();
      return socket.url;
    });
  },

  "what close takes": (Socket, echo) => {
    const codes = [null, Number.NaN, 0, 999, 1000, "1000", 1000.4, 1001, 2999, 3000, 4999, 5000, 66_536, "x"];
    const reasons = ["x".repeat(123), "x".repeat(124), "é".repeat(61), "é".repeat(62), 5, null];
    const tried = [[], ...codes.map((code) => [code]), ...reasons.map((reason) => [1000, reason])];
    return tried.map((given) => {
      const socket = new Socket(echo);
      const said: unknown[] = [given, socket.readyState];
      try {
        Reflect.apply(Reflect.get(socket, "close"), socket, given);
      } catch (error) {
        said.push(error instanceof DOMException, error instanceof Error ? error.name : "");
      }
      said.push(socket.readyState);
      socket.close();
      return said;
    });
  },

  "close once it is closing": (Socket, echo) => {
    const socket = new Socket(echo);
    socket.close();
    socket.close(3000);
    try {
      socket.close(1);
    } catch (error) {
      return [socket.readyState, error instanceof Error ? error.name : ""];
    }
    return socket.readyState;
  },

  "what is buffered after all has come and it is closed": async (Socket, echo) => {
    const socket = new Socket(echo);
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    socket.send("x".repeat(1_000));
    await new Promise((resolve) => socket.addEventListener("message", resolve));
    socket.close();
    await new Promise((resolve) => socket.addEventListener("close", resolve));
    return socket.bufferedAmount;
  },

  "what can be sent": async (Socket, echo) => {
    const socket = new Socket(echo);
    socket.binaryType = "arraybuffer";
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const texts = ["", "ä", "\ud800x", 1, null, undefined, true, {}, [1, 2], { toString: () => "own" }, 2n ** 70n];
    const view = new DataView(new ArrayBuffer(5), 2);
    const sent = [...texts, new ArrayBuffer(2), new Uint16Array([1, 2]).subarray(1), view, new Blob(["b"])];
    const got: unknown[] = [];
    const all = new Promise<void>((resolve) =>
      socket.addEventListener("message", ({ data }) => {
        got.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data);
        if (got.length === sent.length) resolve();
      }),
    );
    for (const data of sent) Reflect.apply(Reflect.get(socket, "send"), socket, [data]);
    try {
      Reflect.apply(Reflect.get(socket, "send"), socket, [Symbol("s")]);
    } catch (error) {
      got.push(error instanceof Error ? error.name : "");
    }
    await all;
    socket.close();
    return got;
  },

  "what is sent is what it was then": async (Socket, echo) => {
    const socket = new Socket(echo);
    socket.binaryType = "arraybuffer";
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const bytes = new Uint8Array([1, 2, 3]);
    socket.send(bytes);
    bytes.fill(9);
    const got = await new Promise<ArrayBuffer>((resolve) =>
      socket.addEventListener("message", ({ data }) => resolve(data), { once: true }),
    );
    socket.close();
    return [...new Uint8Array(got)];
  },

  "types of binary messages": async (Socket, echo) => {
    const socket = new Socket(echo);
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const said: unknown[] = [];
    for (const type of ["blob", "arraybuffer", "blob"]) {
      Reflect.set(socket, "binaryType", type);
      socket.send(new ArrayBuffer(1));
      const data = await new Promise<object>((resolve) =>
        socket.addEventListener("message", (event) => resolve(event.data), { once: true }),
      );
      said.push(socket.binaryType, data.constructor.name);
    }
    socket.close();
    return said;
  },

  "events and what they say": async (Socket, echo) => {
    const socket = new Socket(echo, ["a", "b"]);
    const told: unknown[] = [];
    for (const type of ["open", "message", "error", "close"]) {
      socket.addEventListener(type, (event) => {
        const { bubbles, cancelable, composed, target, currentTarget, eventPhase } = event;
        told.push([type, bubbles, cancelable, composed, target === socket, currentTarget === socket, eventPhase]);
        told.push([event.constructor.name, socket.readyState, socket.protocol, socket.extensions === ""]);
      });
    }
    socket.addEventListener("message", ({ data, origin, lastEventId, ports, source }) => {
      told.push([data, origin, lastEventId, ports.length, source]);
    });
    socket.addEventListener("close", ({ code, reason, wasClean }) => told.push([code, reason, wasClean]));
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    socket.send("hello");
    await new Promise((resolve) => socket.addEventListener("message", resolve));
    socket.send("close");
    await new Promise((resolve) => socket.addEventListener("close", resolve));
    return told;
  },

  "handlers that are none": (Socket, echo) => {
    const socket = new Socket(echo);
    socket.close();
    const said: unknown[] = [];
    for (const value of [5, "text", undefined, null]) {
      for (const name of ["onopen", "onmessage", "onerror", "onclose"]) {
        Reflect.set(socket, name, () => {});
        said.push(typeof Reflect.get(socket, name));
        Reflect.set(socket, name, value);
        said.push(Reflect.get(socket, name));
      }
    }
    return said;
  },
};

/** To these Node's own WebSocket gives answers that the standard does not. */
export const BROWSER_PROBES: Readonly<Record<string, Probe>> = {
  "send before it is open and after it is closed": async (Socket, echo) => {
    const socket = new Socket(echo);
    const said: unknown[] = [];
    try {
      socket.send("early");
    } catch (error) {
      said.push(error instanceof DOMException, error instanceof Error ? error.name : "");
    }
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    socket.close();
    socket.send("äb");
    said.push(socket.bufferedAmount);
    await new Promise((resolve) => socket.addEventListener("close", resolve));
    socket.send(new ArrayBuffer(4));
    socket.send(new Blob(["abc"]));
    socket.send(new DataView(new ArrayBuffer(9), 1, 2));
    return [...said, socket.bufferedAmount, socket.readyState];
  },

  "handlers and listeners, in which order": (Socket, echo) => {
    const socket = new Socket(echo);
    socket.close();
    const told: unknown[] = [];
    const fire = (note: string) => {
      told.push(note);
      socket.dispatchEvent(new Event("open"));
    };
    const twice = () => told.push("twice");
    const ended = new AbortController();
    socket.addEventListener("open", () => told.push("first"));
    Reflect.set(socket, "onopen", () => told.push("handler"));
    socket.addEventListener("open", () => told.push("second"), { once: true });
    socket.addEventListener("open", twice);
    socket.addEventListener("open", twice);
    socket.addEventListener("open", { handleEvent: () => told.push("object") });
    socket.addEventListener("open", () => told.push("ended"), { signal: ended.signal });
    fire("at first");
    ended.abort();
    socket.removeEventListener("open", twice);
    Reflect.set(socket, "onopen", () => told.push("another"));
    fire("set again");
    Reflect.set(socket, "onopen", null);
    fire("without");
    Reflect.set(socket, "onopen", function handler(this: unknown, event: Event) {
      told.push(["last", this === socket, event.currentTarget === socket]);
    });
    fire("set anew");
    return told;
  },

  "types of binary messages that there are not": (Socket, echo) => {
    const socket = new Socket(echo);
    socket.close();
    return ["arraybuffer", "text", "BLOB", undefined, null, "blob"].map((type) => {
      Reflect.set(socket, "binaryType", type);
      return socket.binaryType;
    });
  },

  "a code that is rounded": (Socket, echo) => {
    const socket = new Socket(echo);
    socket.close(4999.4);
    return socket.readyState;
  },
};
