import { describe } from "vitest";
import { simulateSeeds } from "./seeds.ts";

describe("the simulated market, more seeds", () => {
  simulateSeeds(200, 600, 50);
});
