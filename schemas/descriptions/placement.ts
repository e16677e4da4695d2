import {
  AbortErrorsSchema,
  AbortLatencySchema,
  CanaryAbortSchema,
  CanarySchema,
  CanaryVariantSchema,
  DEFAULT_ABORT,
} from "../policies/canary.ts";
import { GeoRuleSchema, GeoSchema } from "../policies/geo.ts";
import { formatMs } from "../values/duration.ts";
import { enabled, section } from "./section.ts";

const { errors, times } = DEFAULT_ABORT;

const geo = section(
  "Geo",
  GeoSchema,
  "Sends requests to other backends by where they come from: [geography](../guide/geography.md).",
  {
    enabled,
    rules: {
      meaning:
        "What requests of some places get. The most specific place wins, whatever the order: data center, region, country, continent. Where no rule fits, or no backend of one that does can take a request, the route's own backend gets it.",
    },
  },
);

const geoRule = section("GeoRule", GeoRuleSchema, "Places, and the backend of their requests.", {
  places: {
    meaning:
      'In capitals: `"DE"` a country (`"XX"`: unknown, `"T1"`: Tor), `"US-TX"` a region, `"FRA"` a data center, `"EU"`, `"OC"` and `"AN"` continents; or with its kind: `"continent:AF"`, `"country:NA"`, `"region:US-TX"`, `"colo:FRA"`. Each once.',
  },
  backend: { meaning: "Name of a backend." },
});

const canary = section(
  "Canary",
  CanarySchema,
  "Tries versions out on a part of the clients, and takes back what is worse: [canaries](../guide/canary.md). The route's own backend is the control.",
  {
    enabled,
    name: {
      meaning:
        "Draws the lots: releases of one name try things out on the same clients. With another name all begins anew.",
      standard: "the route's id",
    },
    variants: { meaning: "What is tried out, one to seven; the control has the clients that they leave." },
    by: {
      meaning: "What makes a client, which always gets the same variant: written like a limit's `by`.",
      standard: '`"ip"`',
    },
    header: {
      meaning: "A field by whose value, the name of a variant or `control`, a request may ask for one.",
      standard: "none may ask",
    },
    cookie: { meaning: "A cookie that does the same.", standard: "none may ask" },
    abort: {
      meaning: "Taking back a variant that is shown to be worse than the control; `false`: only by order.",
      standard: "its defaults",
    },
  },
);

const variant = section("CanaryVariant", CanaryVariantSchema, "One version that is tried out.", {
  name: { meaning: "In logs, figures and overrides.", standard: "its backend's" },
  backend: { meaning: "Name of a backend." },
  percent: { meaning: "Of all clients, 0 to 100, with at most three decimal places." },
});

const abort = section(
  "CanaryAbort",
  CanaryAbortSchema,
  "When a variant is taken back. It is asked ten times a window, for as long as the release lasts, at an error that holds for all of that together.",
  {
    enabled,
    errors: {
      meaning: "More answers of 5xx, or none at all; `false`: they don't matter.",
      standard: "its defaults",
    },
    latency: { meaning: "Slower answers; `false`: that doesn't matter.", standard: "its defaults" },
    window: {
      meaning: "A regression that can be seen in so long is acted on by its end; a bare number counts seconds.",
      standard: `\`"${formatMs(DEFAULT_ABORT.windowMs)}"\``,
    },
    minimumRequests: {
      meaning: "Of the variant, before anything is held against it.",
      standard: `\`${DEFAULT_ABORT.minimumRequests}\``,
    },
    falseAborts: {
      meaning: "The probability that one without a regression is aborted, ever.",
      standard: `\`${DEFAULT_ABORT.falseAborts}\``,
    },
  },
);

const abortErrors = section("AbortErrors", AbortErrorsSchema, "Both must hold.", {
  ratio: { meaning: "The odds of an error exceed the control's so many times.", standard: `\`${errors.ratio}\`` },
  gap: {
    meaning: "Of its latest requests so many more fail than of the control's, as a part of 1.",
    standard: `\`${errors.gap}\``,
  },
});

const abortLatency = section("AbortLatency", AbortLatencySchema, "Times until the heads of answers.", {
  quantile: { meaning: "Of the control's times, which are compared with.", standard: `\`${times.quantile}\`` },
  ratio: {
    meaning: "More answers exceed so many times that than of the control's exceed it.",
    standard: `\`${times.ratio}\``,
  },
});

/** Geography and canaries, in the order of the reference. */
export const placementSections = [geo, geoRule, canary, variant, abort, abortErrors, abortLatency];
