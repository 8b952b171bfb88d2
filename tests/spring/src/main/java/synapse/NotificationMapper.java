package synapse;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Map;
import java.util.stream.Stream;
import org.springframework.stereotype.Component;

/**
 * From what arrives on a channel to the notification.
 *
 * <p>Two different questions are asked of a field: title, message, category, timestamp, at and tenant_id count when
 * they are present and not null; case_id, the ids of a document and status when they are present at all.
 */
@Component
public class NotificationMapper {

    private static final String CASE_ACTION = "workbench:case:action";
    private static final String RAG_STATUS = "workbench:rag:status";
    private static final int CONTENT_LENGTH = 200;
    private static final TypeReference<Map<String, Object>> PAYLOAD = new TypeReference<>() {};

    private final ObjectMapper json;

    public NotificationMapper(ObjectMapper json) {
        this.json = json;
    }

    /**
     * @param now for a message that does not say when it occurred
     * @throws JsonProcessingException if the body is no JSON
     * @throws IllegalArgumentException if it is JSON, but neither an object nor null
     */
    public NotificationDto map(String channel, byte[] body, Instant now) throws JsonProcessingException {
        String text = new String(body, StandardCharsets.UTF_8);
        JsonNode root = json.readTree(text);
        Map<String, Object> payload = json.convertValue(root, PAYLOAD);
        return new NotificationDto(
                null,
                root.hasNonNull("tenant_id") ? root.get("tenant_id").asLong() : 0,
                null,
                root.hasNonNull("title") ? root.get("title").asText() : title(channel),
                root.hasNonNull("message") ? root.get("message").asText() : content(channel, root, text),
                root.hasNonNull("category") ? root.get("category").asText() : type(channel),
                channel,
                occurredAt(root, now),
                null,
                null,
                payload);
    }

    private static String title(String channel) {
        return switch (channel) {
            case CASE_ACTION -> "조치 완료";
            case RAG_STATUS -> "RAG 문서 상태";
            default -> "알림";
        };
    }

    private static String type(String channel) {
        return switch (channel) {
            case CASE_ACTION -> "CASE_ACTION";
            case RAG_STATUS -> "RAG_STATUS";
            default -> "GENERIC";
        };
    }

    private static String content(String channel, JsonNode root, String text) {
        return switch (channel) {
            case CASE_ACTION -> caseAction(root);
            case RAG_STATUS -> ragStatus(root);
            default -> text.length() > CONTENT_LENGTH ? text.substring(0, CONTENT_LENGTH) + "…" : text;
        };
    }

    private static String caseAction(JsonNode root) {
        boolean approved = root.path("approved").asBoolean();
        return "케이스 " + root.path("case_id").asText() + (approved ? " 승인" : " 거절");
    }

    private static String ragStatus(JsonNode root) {
        String document = Stream.of("rag_document_id", "doc_id", "document_id")
                .filter(root::has)
                .findFirst()
                .map(name -> root.get(name).asText())
                .orElse("");
        String status = root.path("status").asText();
        if (document.isEmpty()) {
            return status.isEmpty() ? "RAG 처리 완료" : status;
        }
        return "문서 " + document + " 상태: " + (status.isEmpty() ? "완료" : status);
    }

    /** Where the timestamp is there, but of no use, at is not tried. */
    private static Instant occurredAt(JsonNode root, Instant now) {
        JsonNode timestamp = root.path("timestamp");
        if (timestamp.isNumber()) {
            return Instant.ofEpochMilli(timestamp.asLong());
        }
        JsonNode written = root.hasNonNull("timestamp") ? timestamp : root.path("at");
        try {
            return Instant.parse(written.asText());
        } catch (DateTimeException e) {
            return now;
        }
    }
}
