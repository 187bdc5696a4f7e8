export { checkPurchaseOrder, priceVectorOf, type CheckedPurchaseOrder, type MarketPins } from "./receipt/purchase-order.ts";
export { computeBill, settlementProblem, type BillInput } from "./receipt/bill.ts";
export { verifyReceipt, type Line, type OwnFacts, type Verification } from "./receipt/receipt.ts";
export { resultProblem, stoppedAt, wasRun, type ReExecuted } from "./judging/re-execution.ts";
export { judge, type Judgement } from "./judging/judgement.ts";
export { isComparable, refereeProblem, resultDifference } from "./judging/comparison.ts";
export { contradictionIn, findContradiction, type Contradiction } from "./evidence/contradiction.ts";
export { isEvidence, packBrokenPromise, packContradiction, packFork, verifyEvidence } from "./evidence/evidence.ts";
