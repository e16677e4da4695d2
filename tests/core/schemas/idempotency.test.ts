import { expect, it } from "vitest";
import { parseConfig } from "../../../schemas/index.ts";

function routeOf(level: object, route: object) {
  const parsed = parseConfig({
    ...level,
    routes: [{ id: "r", prefix: "/r", target: "https://a.example.com", ...route }],
  });
  if (!parsed.ok) return parsed.problems;
  return { settings: parsed.config.routes[0]?.idempotency, warnings: parsed.warnings };
}

const DEFAULTS = {
  required: false,
  header: "idempotency-key",
  methods: ["POST", "PATCH"],
  by: undefined,
  ttlMs: 86_400_000,
  onUnknown: "refuse",
  maxBodySize: 1_048_576,
  maxAnswerSize: 1_048_576,
  shadow: false,
};

it.each<readonly [object, object, object | undefined]>([
  [{}, {}, undefined],
  [{ idempotency: true }, {}, DEFAULTS],
  [{}, { idempotency: {} }, DEFAULTS],
  [{ idempotency: true }, { idempotency: false }, undefined],
  [{ idempotency: true }, { idempotency: { enabled: false } }, undefined],
  [{ idempotency: { required: true } }, { idempotency: { ttl: 60 } }, { ...DEFAULTS, ttlMs: 60_000 }],
  [
    {},
    {
      idempotency: {
        required: true,
        header: "X-Order-Id",
        methods: ["put"],
        by: ["header:Authorization", "ip"],
        ttl: "1h",
        onUnknown: "retry",
        maxBodySize: "16MiB",
        maxAnswerSize: 0,
        shadow: true,
      },
    },
    {
      required: true,
      header: "x-order-id",
      methods: ["PUT"],
      by: [{ kind: "header", name: "authorization" }, { kind: "ip" }],
      ttlMs: 3_600_000,
      onUnknown: "retry",
      maxBodySize: 16_777_216,
      maxAnswerSize: 0,
      shadow: true,
    },
  ],
  [{ idempotency: { onUnknown: "error" } }, {}, DEFAULTS],
])("%j and on the route %j", (level, route, settings) => {
  expect(routeOf(level, route)).toEqual({ settings, warnings: [] });
});

it.each<readonly [object, string, string, string]>([
  [{ methods: ["POST", "GET"] }, "methods[1]", '"GET"', "a method that has an effect"],
  [{ methods: [] }, "methods", "an empty array", "an array of methods, at least one"],
  [{ by: "all" }, "by", '"all"', "what tells clients apart"],
  [{ by: ["route"] }, "by", "an array of 1", "what tells clients apart"],
  [{ ttl: "0s" }, "ttl", '"0s"', "a duration"],
  [{ onUnknown: "refuse" }, "onUnknown", '"refuse"', 'one of "error", "retry"'],
  [{ maxBodySize: "17MiB" }, "maxBodySize", "17MiB", "at most 16 MiB"],
  [{ maxAnswerSize: "2MB" }, "maxAnswerSize", "2MB", "at most 1536 KiB"],
  [{ header: "a b" }, "header", '"a b"', "the name of a header"],
])("%j is refused", (idempotency, field, got, wanted) => {
  const problems = routeOf({}, { idempotency });
  expect(problems).toEqual([
    {
      path: `routes[0].idempotency.${field}`,
      got: expect.stringContaining(got),
      wanted: expect.stringContaining(wanted),
    },
  ]);
});
