export { checkPurchaseOrder, priceVectorOf, type CheckedPurchaseOrder, type MarketPins } from "./purchase-order.ts";
export { computeBill, settlementProblem, type BillInput } from "./bill.ts";
export { verifyReceipt, type Line, type OwnFacts, type Verification } from "./receipt.ts";
export { resultProblem, stoppedAt, wasRun, type ReExecuted } from "./re-execution.ts";
export { judge, type Judgement } from "./judgement.ts";
export { isComparable, refereeProblem, resultDifference } from "./comparison.ts";
export { contradictionIn, findContradiction, type Contradiction } from "./contradiction.ts";
export { isEvidence, packBrokenPromise, packContradiction, packFork, verifyEvidence } from "./evidence.ts";
