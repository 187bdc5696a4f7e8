import { describe } from "vitest";
import { cases } from "../thorough.ts";
import { simulateSeeds } from "./seeds.ts";

describe("the simulated market, more seeds", () => {
  simulateSeeds(200, cases(250, 600), 50);
});
