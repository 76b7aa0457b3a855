import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;
import io.dapr.client.domain.HttpExtension;
import io.dapr.client.domain.State;
import io.dapr.client.domain.TransactionalStateOperation;
import io.dapr.client.domain.TransactionalStateOperation.OperationType;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * An app with the official Java SDK: it subscribes, publishes, invokes itself through its sidecar
 * and keeps state. One line of JSON on standard output tells what came back.
 */
public final class App {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String STORE = "statestore";
  private static final String TOPICS =
      "[{\"pubsubname\":\"pubsub\",\"topic\":\"orders\",\"route\":\"/orders\"}]";

  public static void main(String[] arguments) throws Exception {
    CompletableFuture<Object> event = new CompletableFuture<>();
    HttpServer server = serve(event);
    try (DaprClient client = new DaprClientBuilder().build()) {
      client.waitForSidecar(10000).block();
      System.out.println(JSON.writeValueAsString(see(client, event)));
    } finally {
      server.stop(0);
    }
    System.exit(0);
  }

  private static HttpServer serve(CompletableFuture<Object> event) throws IOException {
    int port = Integer.parseInt(System.getenv("APP_PORT"));
    InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    HttpServer server = HttpServer.create(address, 0);
    server.createContext("/dapr/subscribe", exchange -> answer(exchange, TOPICS));
    server.createContext(
        "/orders",
        exchange -> {
          event.complete(JSON.readValue(exchange.getRequestBody(), Map.class).get("data"));
          answer(exchange, "{\"status\":\"SUCCESS\"}");
        });
    server.createContext(
        "/double",
        exchange -> {
          int n = (Integer) JSON.readValue(exchange.getRequestBody(), Map.class).get("n");
          answer(exchange, "{\"doubled\":" + 2 * n + "}");
        });
    server.start();
    return server;
  }

  private static void answer(HttpExchange exchange, String document) throws IOException {
    byte[] body = document.getBytes();
    exchange.getResponseHeaders().set("content-type", "application/json");
    exchange.sendResponseHeaders(200, body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }

  private static Map<String, Object> see(DaprClient client, CompletableFuture<Object> event)
      throws Exception {
    Map<String, Object> seen = new LinkedHashMap<>();
    Map<String, Object> order = new LinkedHashMap<>();
    order.put("id", "7");
    order.put("total", 5);
    client.publishEvent("pubsub", "orders", order).block();
    seen.put("event", event.get());
    String self = System.getenv("APP_ID");
    Map<String, Integer> request = Map.of("n", 21);
    seen.put(
        "invoked",
        client.invokeMethod(self, "double", request, HttpExtension.POST, Map.class).block());
    client.saveState(STORE, "a", Map.of("n", 1)).block();
    client.saveState(STORE, "b", "text").block();
    seen.put("saved", Arrays.asList(get(client, "a", Map.class), get(client, "b", String.class)));
    List<TransactionalStateOperation<?>> changes =
        List.of(
            new TransactionalStateOperation<>(
                OperationType.UPSERT, new State<>("a", Map.of("n", 2), null)),
            new TransactionalStateOperation<>(OperationType.DELETE, new State<>("b")));
    client.executeStateTransaction(STORE, changes).block();
    seen.put("changed", Arrays.asList(get(client, "a", Map.class), get(client, "b", String.class)));
    client.deleteState(STORE, "a").block();
    seen.put("deleted", get(client, "a", Map.class));
    return seen;
  }

  private static <T> T get(DaprClient client, String key, Class<T> type) {
    return client.getState(STORE, key, type).block().getValue();
  }
}
