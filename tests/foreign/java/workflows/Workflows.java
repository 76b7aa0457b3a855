import com.fasterxml.jackson.databind.ObjectMapper;
import io.dapr.config.Properties;
import io.dapr.durabletask.Task;
import io.dapr.workflows.Workflow;
import io.dapr.workflows.WorkflowContext;
import io.dapr.workflows.WorkflowStub;
import io.dapr.workflows.WorkflowTaskOptions;
import io.dapr.workflows.WorkflowTaskRetryPolicy;
import io.dapr.workflows.client.DaprWorkflowClient;
import io.dapr.workflows.client.WorkflowState;
import io.dapr.workflows.runtime.WorkflowRuntime;
import io.dapr.workflows.runtime.WorkflowRuntimeBuilder;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Workflows with the official Java SDK; the app goes on until it is ended. One line of JSON on
 * standard output tells what its client saw of the other app's workflow.
 */
public final class Workflows {
  private static final String OTHER = "ours";
  private static final Duration SOON = Duration.ofMillis(50);
  private static final Map<String, Integer> TRIES = new ConcurrentHashMap<>();

  /** Does a bit of everything. */
  public static final class Tour implements Workflow {
    @Override
    public WorkflowStub create() {
      return Workflows::tour;
    }
  }

  /** Doubles an order. */
  public static final class TheirOrder implements Workflow {
    @Override
    public WorkflowStub create() {
      return context -> {
        Map<?, ?> order = context.getInput(Map.class);
        int total = twice(context, order.get("total")).await();
        context.complete(Map.of("id", order.get("id"), "total", total));
      };
    }
  }

  private static Task<Integer> twice(WorkflowContext context, Object number) {
    return context.callActivity("their_double", number, Integer.class);
  }

  private static void tour(WorkflowContext context) {
    Map<?, ?> order = context.getInput(Map.class);
    Map<String, Object> seen = new LinkedHashMap<>();
    int doubled = twice(context, order.get("total")).await();
    seen.put("doubled", doubled);
    List<Task<Integer>> fan =
        Stream.of(1, 2, 3).map(each -> twice(context, each)).collect(Collectors.toList());
    seen.put("fan", context.allOf(fan).await());
    Map<?, ?> child = context.callChildWorkflow("their_order", order, Map.class).await();
    seen.put("child", child);
    context.createTimer(SOON).await();
    WorkflowTaskOptions retried =
        new WorkflowTaskOptions(new WorkflowTaskRetryPolicy(3, SOON, 1.0, null, null));
    String key = context.getInstanceId();
    seen.put("tries", context.callActivity("flaky", key, retried, Integer.class).await());
    WorkflowTaskOptions other = new WorkflowTaskOptions(OTHER);
    int number = context.callActivity("our_double", doubled, other, Integer.class).await();
    Map<?, ?> ordered =
        context.callChildWorkflow("our_order", child, key + "-other", other, Map.class).await();
    seen.put("ours", List.of(number, ordered));
    context.setCustomStatus("waiting");
    seen.put("go", context.waitForExternalEvent("Go", Map.class).await());
    context.complete(seen);
  }

  private static int flaky(String key) {
    int tries = TRIES.merge(key, 1, Integer::sum);
    if (tries < 3) {
      throw new IllegalStateException("tried " + tries + " times");
    }
    return tries;
  }

  public static void main(String[] arguments) throws Exception {
    WorkflowRuntime runtime =
        new WorkflowRuntimeBuilder()
            .registerWorkflow("tour", Tour.class)
            .registerWorkflow("their_order", TheirOrder.class)
            .registerActivity("their_double", context -> context.getInput(Integer.class) * 2)
            .registerActivity("flaky", context -> flaky(context.getInput(String.class)))
            .build();
    runtime.start(false);
    Properties other = new Properties(Map.of("dapr.grpc.port", System.getenv("OTHER_GRPC_PORT")));
    try (DaprWorkflowClient client = new DaprWorkflowClient(other)) {
      String id = client.scheduleNewWorkflow("ours", Map.of("id", "o", "total", 3), "mixed");
      client.raiseEvent(id, "go", Map.of("id", "go", "total", 5));
      WorkflowState state = client.waitForWorkflowCompletion(id, Duration.ofSeconds(30), true);
      List<String> seen = List.of(state.getRuntimeStatus().name(), state.getSerializedOutput());
      System.out.println(new ObjectMapper().writeValueAsString(Map.of("ours", seen)));
    }
    Thread.currentThread().join();
  }
}
