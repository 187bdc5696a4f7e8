export { factOf, parseFact, type FactResult, type FactWorld, type Findings } from "./facts/facts.ts";
export { checkPurchaseOrder, type CheckedPurchaseOrder } from "./facts/purchase-order.ts";
export { verifyReceipt, type Line, type OwnFacts, type Verification } from "./receipt/receipt.ts";
export { resultProblem, stoppedAt, type ReExecuted } from "./judging/re-execution.ts";
export { judge, type Judgement } from "./judging/judgement.ts";
export { judgeVerdict, type JudgedVerdict } from "./judging/judged-verdict.ts";
export { refereeProblem, resultDifference } from "./judging/comparison.ts";
export { contradictionIn, findContradiction, knownSigners, type Contradiction, type KnownSigners } from "./evidence/contradiction.ts";
export { isEvidence, packBrokenPromise, packContradiction, packFork, verifyEvidence } from "./evidence/evidence.ts";
