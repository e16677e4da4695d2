import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  GRAPHQL_CASES,
  GRAPHQL_WAYS,
  startGraphqlTheatre,
  wanted,
  type GraphqlTheatre,
} from "../support/web-socket/graphql-cases.ts";

let theatre: GraphqlTheatre;

beforeAll(async () => {
  theatre = await startGraphqlTheatre();
});

afterAll(() => theatre?.stop());

describe.each(GRAPHQL_WAYS)("%s", (way) => {
  it.each(GRAPHQL_CASES)("$title", async (one) => {
    expect(await theatre.verdict(way, one)).toEqual(wanted(way, one));
  });
});
