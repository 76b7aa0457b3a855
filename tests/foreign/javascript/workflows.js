// Workflows with the official JavaScript SDK; the app goes on until it is ended. One line of JSON
// on standard output tells what its client saw of the other app's workflow.

const { DaprWorkflowClient, WorkflowRuntime } = require("@dapr/dapr");

const daprHost = "127.0.0.1";
const nothing = () => {};
const logger = {
  service: { error: nothing, warn: nothing, info: nothing, verbose: nothing, debug: nothing },
};
const at = (daprPort) => ({ daprHost, daprPort, logger });
const tries = {};

const theirDouble = async (_context, number) => number * 2;

const flaky = async (_context, key) => {
  tries[key] = (tries[key] ?? 0) + 1;
  if (tries[key] < 3) {
    throw new Error(`tried ${tries[key]} times`);
  }
  return tries[key];
};

async function* theirOrder(context, order) {
  return { id: order.id, total: yield context.callActivity("their_double", order.total) };
}

async function* tour(context, order) {
  const doubled = yield context.callActivity("their_double", order.total);
  const fan = yield context.whenAll(
    [1, 2, 3].map((each) => context.callActivity("their_double", each)),
  );
  const child = yield context.callChildWorkflow("their_order", order);
  yield context.createTimer(0.05);
  let count = 0;
  while (!count) {
    try {
      count = yield context.callActivity("flaky", context.getWorkflowInstanceId());
    } catch {
      yield context.createTimer(0.05);
    }
  }
  context.setCustomStatus("waiting");
  const go = yield context.waitForExternalEvent("Go");
  return { doubled, fan, child, tries: count, go };
}

async function main() {
  const runtime = new WorkflowRuntime(at(process.env.DAPR_GRPC_PORT));
  runtime.registerWorkflowWithName("tour", tour).registerWorkflowWithName("their_order", theirOrder);
  runtime
    .registerActivityWithName("their_double", theirDouble)
    .registerActivityWithName("flaky", flaky);
  await runtime.start();
  const client = new DaprWorkflowClient(at(process.env.OTHER_GRPC_PORT));
  const started = await client.scheduleNewWorkflow("ours", { id: "o", total: 3 }, "mixed");
  await client.raiseEvent(started, "go", { id: "go", total: 5 });
  const state = await client.waitForWorkflowCompletion(started, true, 30);
  const status = ["RUNNING", "COMPLETED"][state.runtimeStatus] ?? state.runtimeStatus;
  process.stdout.write(JSON.stringify({ ours: [status, state.serializedOutput] }) + "\n");
  await client.stop();
}

process.on("SIGTERM", () => process.exit(0));
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
