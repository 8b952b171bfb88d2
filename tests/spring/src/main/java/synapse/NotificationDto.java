package synapse;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.time.Instant;
import java.util.Map;

/** What a browser gets, over STOMP and REST: the fields in this order, and none that is null. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record NotificationDto(
        Long id,
        long tenantId,
        Long userId,
        String title,
        String content,
        String type,
        String channel,
        Instant occurredAt,
        Instant createdAt,
        Instant readAt,
        Map<String, Object> payload) {

    /** With what it gets when it is stored. */
    public NotificationDto stored(long id, Instant createdAt) {
        return new NotificationDto(
                id, tenantId, userId, title, content, type, channel, occurredAt, createdAt, readAt, payload);
    }
}
