package synapse;

import jakarta.persistence.Column;
import jakarta.persistence.Convert;
import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.Table;
import java.time.Instant;
import java.util.Map;
import org.hibernate.Length;

/** A row of the table. */
@Entity
@Table(name = "sys_notifications")
public class Notification {

    @Id
    @GeneratedValue(strategy = GenerationType.IDENTITY)
    private Long id;

    @Column(nullable = false)
    private long tenantId;

    private Long userId;

    @Column(nullable = false)
    private String title;

    @Column(length = Length.LONG32)
    private String content;

    @Column(nullable = false, length = 64)
    private String type;

    @Column(nullable = false, length = Length.LONG32)
    private String channel;

    @Column(nullable = false)
    private Instant occurredAt;

    @Column(nullable = false)
    private Instant createdAt;

    private Instant readAt;

    @Column(length = Length.LONG32)
    @Convert(converter = PayloadConverter.class)
    private Map<String, Object> payload;

    protected Notification() {}

    public Notification(NotificationDto dto, Instant createdAt) {
        this.tenantId = dto.tenantId();
        this.userId = dto.userId();
        this.title = dto.title();
        this.content = dto.content();
        this.type = dto.type();
        this.channel = dto.channel();
        this.occurredAt = dto.occurredAt();
        this.createdAt = createdAt;
        this.payload = dto.payload();
    }

    public Long getId() {
        return id;
    }

    public Instant getCreatedAt() {
        return createdAt;
    }

    public NotificationDto toDto() {
        return new NotificationDto(
                id, tenantId, userId, title, content, type, channel, occurredAt, createdAt, readAt, payload);
    }
}
