import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.dapr.actors.ActorId;
import io.dapr.actors.ActorMethod;
import io.dapr.actors.ActorType;
import io.dapr.actors.client.ActorClient;
import io.dapr.actors.client.ActorProxyBuilder;
import io.dapr.actors.runtime.AbstractActor;
import io.dapr.actors.runtime.ActorRuntime;
import io.dapr.actors.runtime.ActorRuntimeContext;
import io.dapr.actors.runtime.Remindable;
import io.dapr.utils.TypeRef;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import reactor.core.publisher.Mono;

/**
 * Actors with the official Java SDK, which leaves the routes to its user. One line of JSON on
 * standard output tells what came back from their sidecar.
 */
public final class Actors {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration SOON = Duration.ofMillis(100);
  private static final Duration LATER = Duration.ofMinutes(1);
  private static final CountDownLatch TIMER = new CountDownLatch(1);
  private static final CountDownLatch REMINDER = new CountDownLatch(1);

  /** What can be called. */
  @ActorType(name = "Book")
  public interface Book {
    /** Adds an entry and returns all. */
    @ActorMethod(name = "add", returns = List.class)
    Mono<List> add(String entry);

    /** Raises. */
    @ActorMethod(name = "fail")
    Mono<Void> fail();

    /** Asks for a timer and a reminder. */
    @ActorMethod(name = "plan")
    Mono<Void> plan();

    /** Removes the entries, the timer and the reminder. */
    @ActorMethod(name = "forget")
    Mono<Void> forget();

    /** Takes a tick of the timer; the SDK looks for it here. */
    Mono<Void> onTimer(String data);
  }

  /** Keeps entries. */
  public static final class BookActor extends AbstractActor implements Book, Remindable<String> {
    /** Makes an actor as the SDK asks for. */
    public BookActor(ActorRuntimeContext<BookActor> context, ActorId id) {
      super(context, id);
    }

    @Override
    public Mono<List> add(String entry) {
      return getActorStateManager()
          .contains("entries")
          .flatMap(
              there ->
                  there
                      ? getActorStateManager().get("entries", List.class)
                      : Mono.just(List.of()))
          .flatMap(
              known -> {
                List<Object> entries = new ArrayList<>((List<?>) known);
                entries.add(entry);
                return getActorStateManager().set("entries", entries).thenReturn(entries);
              });
    }

    @Override
    public Mono<Void> fail() {
      return Mono.error(new IllegalStateException("the book is closed"));
    }

    @Override
    public Mono<Void> plan() {
      return registerActorTimer("t", "onTimer", "timed", SOON, LATER)
          .then(registerReminder("r", "reminded", SOON, LATER));
    }

    @Override
    public Mono<Void> forget() {
      return unregisterTimer("t")
          .then(unregisterReminder("r"))
          .then(getActorStateManager().remove("entries"));
    }

    @Override
    public Mono<Void> onTimer(String data) {
      return add(data).doOnNext(entries -> TIMER.countDown()).then();
    }

    @Override
    public TypeRef<String> getStateType() {
      return TypeRef.STRING;
    }

    @Override
    public Mono<Void> receiveReminder(String name, String data, Duration due, Duration period) {
      return add(name + " " + data).doOnNext(entries -> REMINDER.countDown()).then();
    }
  }

  public static void main(String[] arguments) throws Exception {
    ActorRuntime.getInstance().registerActor(BookActor.class);
    HttpServer server = serve();
    try (ActorClient client = new ActorClient()) {
      System.out.println(JSON.writeValueAsString(see(client)));
    } finally {
      server.stop(0);
    }
    System.exit(0);
  }

  private static Map<String, Object> see(ActorClient client) throws Exception {
    ActorProxyBuilder<Book> books = new ActorProxyBuilder<>(Book.class, client);
    Book ann = books.build(new ActorId("ann"));
    untilHosted(ann);
    Map<String, Object> seen = new LinkedHashMap<>();
    seen.put("added", List.of(ann.add("one").block(), ann.add("two").block()));
    seen.put("other", books.build(new ActorId("bob")).add("three").block());
    seen.put("failed", failed(ann));
    ann.plan().block();
    TIMER.await(10, TimeUnit.SECONDS);
    REMINDER.await(10, TimeUnit.SECONDS);
    List<Object> entries = new ArrayList<>(ann.add("last").block());
    entries.sort(null);
    seen.put("ticked", entries);
    ann.forget().block();
    seen.put("anew", ann.add("first").block());
    return seen;
  }

  private static boolean failed(Book book) {
    try {
      book.fail().block();
      return false;
    } catch (RuntimeException error) {
      return true;
    }
  }

  private static void untilHosted(Book book) throws InterruptedException {
    for (int attempt = 0; ; attempt++) {
      try {
        book.forget().block();
        return;
      } catch (RuntimeException error) {
        if (attempt == 200) {
          throw error;
        }
        Thread.sleep(50);
      }
    }
  }

  private static HttpServer serve() throws IOException {
    int port = Integer.parseInt(System.getenv("APP_PORT"));
    InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    HttpServer server = HttpServer.create(address, 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext(
        "/dapr/config",
        exchange -> answer(exchange, 200, ActorRuntime.getInstance().serializeConfig()));
    server.createContext("/actors/", Actors::serveActors);
    server.start();
    return server;
  }

  /** Hands {@code /actors/{type}/{id}[/method/[remind|timer/]{name}]} to the SDK. */
  private static void serveActors(HttpExchange exchange) throws IOException {
    String[] parts = exchange.getRequestURI().getPath().split("/");
    byte[] body = exchange.getRequestBody().readAllBytes();
    ActorRuntime runtime = ActorRuntime.getInstance();
    try {
      byte[] result = null;
      if (exchange.getRequestMethod().equals("DELETE")) {
        runtime.deactivate(parts[2], parts[3]).block();
      } else if (parts[5].equals("remind")) {
        runtime.invokeReminder(parts[2], parts[3], parts[6], body).block();
      } else if (parts[5].equals("timer")) {
        runtime.invokeTimer(parts[2], parts[3], parts[6], body).block();
      } else {
        result = runtime.invoke(parts[2], parts[3], parts[5], body).block();
      }
      answer(exchange, 200, result == null ? new byte[0] : result);
    } catch (RuntimeException error) {
      answer(exchange, 500, error.toString().getBytes());
    }
  }

  private static void answer(HttpExchange exchange, int status, byte[] body) throws IOException {
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }
}
