import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

/** The default client of Java, which offers HTTP/2 with each request over plain HTTP. */
public class Office {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static String base;
    private static String token;

    private static HttpResponse<String> send(String method, String path, String body, String condition)
            throws Exception {
        var request = HttpRequest.newBuilder(URI.create(base + path)).header("Authorization", "Bearer " + token);
        request.method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
        if (body != null) {
            request.header("Content-Type", "application/json");
        }
        if (condition != null) {
            request.header("If-Match", condition);
        }
        var reply = CLIENT.send(request.build(), BodyHandlers.ofString());
        System.out.println(method + " " + reply.statusCode() + " " + reply.version());
        return reply;
    }

    public static void main(String[] words) throws Exception {
        base = words[0];
        token = words[1];
        var plan = "/v1/plans/63.02-" + words[2];
        for (int round = 0; round < 20; round++) {
            var title = "RAT " + round + " " + "x".repeat(round * 20);
            var tag = round == 0 ? null : send("GET", plan, null, null).headers().firstValue("ETag").get();
            tag = send("PUT", plan, "{\"title\": \"" + title + "\"}", tag).headers().firstValue("ETag").get();
            send("PATCH", plan, "{\"title\": \"" + title + "!\"}", tag);
            send("PATCH", plan, "{\"title\": \"stale\"}", tag);
            var stored = send("GET", plan, null, null).body();
            System.out.println(stored.contains("\"" + title + "!\"") ? "stored" : "lost: " + stored);
            // longer than one segment; the refusal has the beginning of the refused value
            var merge = "/v1/regions/63.02/agencies/1.06.0.00.0.00.08.0000/merge?dry_run=true";
            var refusal = send("POST", merge, "{\"into\": \"" + "y".repeat(200_000) + "\"}", "*").body();
            System.out.println(refusal.contains("yyyyyyyy") ? "judged" : "lost: " + refusal);
        }
    }
}
