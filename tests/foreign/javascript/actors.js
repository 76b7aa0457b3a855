// Actors with the official JavaScript SDK, hosted over HTTP. One line of JSON on standard output
// tells what came back from their sidecar.

const {
  AbstractActor,
  ActorId,
  ActorProxyBuilder,
  CommunicationProtocolEnum,
  DaprServer,
  Temporal,
} = require("@dapr/dapr");

const communicationProtocol = CommunicationProtocolEnum.HTTP;
const daprHost = "127.0.0.1";
const daprPort = process.env.DAPR_HTTP_PORT;
const nothing = () => {};
const logger = {
  service: { error: nothing, warn: nothing, info: nothing, verbose: nothing, debug: nothing },
};
const actor = { reentrancy: { enabled: true, maxStackDepth: 8 } };
const clientOptions = { daprHost, daprPort, communicationProtocol, logger, actor };
const soon = Temporal.Duration.from({ milliseconds: 100 });
const later = Temporal.Duration.from({ minutes: 1 });

const came = {};
const ticked = ["timer", "reminder"].map((what) => new Promise((resolve) => (came[what] = resolve)));

class Book extends AbstractActor {
  async add(entry) {
    const [, known] = await this.getStateManager().tryGetState("entries");
    const entries = [...(known ?? []), entry];
    await this.getStateManager().setState("entries", entries);
    return entries;
  }

  async fail() {
    throw new Error("the book is closed");
  }

  async plan() {
    await this.registerActorTimer("t", "onTimer", soon, later, undefined, "timed");
    await this.registerActorReminder("r", soon, later, undefined, "reminded");
  }

  async forget() {
    await this.unregisterActorTimer("t");
    await this.unregisterActorReminder("r");
    await this.getStateManager().removeState("entries");
  }

  async onTimer(data) {
    await this.add(data);
    came.timer();
  }

  async receiveReminder(data) {
    await this.add(`r ${data}`);
    came.reminder();
  }
}

async function main() {
  const serverPort = process.env.APP_PORT;
  const server = new DaprServer({
    serverHost: daprHost,
    serverPort,
    communicationProtocol,
    clientOptions,
    logger,
  });
  await server.actor.init();
  await server.actor.registerActor(Book);
  await server.start();

  const builder = new ActorProxyBuilder(Book, server.client);
  const book = (id) => builder.build(new ActorId(id));
  const ann = book("ann");
  const seen = { added: [await ann.add("one"), await ann.add("two")] };
  seen.other = await book("bob").add("three");
  seen.failed = await ann.fail().then(
    () => false,
    () => true,
  );
  await ann.plan();
  await Promise.all(ticked);
  seen.ticked = (await ann.add("last")).map(String).sort();
  await ann.forget();
  seen.anew = await ann.add("first");
  console.log(JSON.stringify(seen));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
