// A kitchen in Node: no packages, only what Dapr's HTTP API asks of an app.
import { createServer } from "node:http";
import process from "node:process";

const sidecar = `http://127.0.0.1:${process.env.DAPR_HTTP_PORT}/v1.0`;
const headers = { "content-type": "application/json" };
const token = { "dapr-api-token": process.env.DAPR_API_TOKEN ?? "" };  // where the sidecar wants one
const menu = new Map([["tea", 4], ["soup", 12]]);
const served = {};

// What the sidecar asks at the start: the topics, and where their events go.
const subscriptions = [
  { pubsubname: "pubsub", topic: "orders", route: "/on-order", deadLetterTopic: "orders-dead" },
];

async function post(path, body) {
  const answer = await fetch(`${sidecar}/${path}`, {
    method: "POST", headers: { ...headers, ...token }, body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

// An event of 'orders'. What is thrown becomes a 500, and the event comes again.
async function onOrder(event) {
  const { id, dish } = event.data;
  if (!menu.has(dish)) return { status: "DROP" };  // to the dead letter topic
  const { table } = await post("invoke/counter/method/table", { id, dish });
  console.log(`${dish} for table ${table}`);
  await post("publish/pubsub/served", { id, dish, table });
  served[dish] = (served[dish] ?? 0) + 1;
  return { status: "SUCCESS" };
}

async function route(request) {
  const [, first, second] = request.url.split("/").map(decodeURIComponent);
  switch (`${request.method} ${first}`) {
    case "GET dapr": return second === "subscribe" ? subscriptions : undefined;
    case "POST on-order": return onOrder(await bodyOf(request));
    case "GET dishes": return menu.has(second) ? { minutes: menu.get(second) } : undefined;
    case "GET served": return served;
    default: return undefined;
  }
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const server = createServer(async (request, response) => {
  try {
    const answer = await route(request);
    response.writeHead(answer === undefined ? 404 : 200, headers);
    response.end(answer === undefined ? "" : JSON.stringify(answer));
  } catch (error) {
    console.error(error.message);
    response.writeHead(500).end();
  }
});

process.on("SIGTERM", () => server.close());
server.listen(Number(process.env.APP_PORT), "127.0.0.1");
