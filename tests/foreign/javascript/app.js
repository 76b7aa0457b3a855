// An app with the official JavaScript SDK: it subscribes, publishes, invokes itself through its
// sidecar and keeps state. One line of JSON on standard output tells what came back.

const { CommunicationProtocolEnum, DaprServer, HttpMethod } = require("@dapr/dapr");

const communicationProtocol = CommunicationProtocolEnum[process.env.SPEAKS];
const inGrpc = process.env.SPEAKS === "GRPC";
const daprPort = inGrpc ? process.env.DAPR_GRPC_PORT : process.env.DAPR_HTTP_PORT;
const daprHost = "127.0.0.1";
const nothing = () => {};
const logger = {
  service: { error: nothing, warn: nothing, info: nothing, verbose: nothing, debug: nothing },
};
const store = "statestore";
// Over gRPC the SDK leaves it to its caller to make texts of a transaction's values.
const written = (value) => (inGrpc ? JSON.stringify(value) : value);

async function main() {
  const server = new DaprServer({
    serverHost: "127.0.0.1",
    serverPort: process.env.APP_PORT,
    communicationProtocol,
    clientOptions: { daprHost, daprPort, communicationProtocol, logger },
    logger,
  });
  let arrived;
  const event = new Promise((resolve) => (arrived = resolve));
  await server.pubsub.subscribe("pubsub", "orders", async (order) => arrived(order));
  await server.invoker.listen("double", async ({ body }) => ({ doubled: JSON.parse(body).n * 2 }), {
    method: HttpMethod.POST,
  });
  await server.start();

  const { client } = server;
  await client.pubsub.publish("pubsub", "orders", { id: "7", total: 5 });
  const seen = { event: await event };
  const method = HttpMethod.POST;
  seen.invoked = await client.invoker.invoke(process.env.APP_ID, "double", method, { n: 21 });
  await client.state.save(store, [
    { key: "a", value: { n: 1 } },
    { key: "b", value: "text" },
  ]);
  seen.saved = [await client.state.get(store, "a"), await client.state.get(store, "b")];
  await client.state.transaction(store, [
    { operation: "upsert", request: { key: "a", value: written({ n: 2 }) } },
    { operation: "delete", request: { key: "b" } },
  ]);
  seen.changed = [await client.state.get(store, "a"), await client.state.get(store, "b")];
  await client.state.delete(store, "a");
  seen.deleted = await client.state.get(store, "a");
  console.log(JSON.stringify(seen));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
