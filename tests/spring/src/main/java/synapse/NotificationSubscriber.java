package synapse;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.data.redis.connection.Message;
import org.springframework.data.redis.connection.MessageListener;
import org.springframework.messaging.simp.SimpMessagingTemplate;
import org.springframework.stereotype.Component;

/** First into the table, then to the browsers; a message with which that fails is logged and dropped. */
@Component
public class NotificationSubscriber implements MessageListener {

    private static final Logger log = LoggerFactory.getLogger(NotificationSubscriber.class);

    private final NotificationMapper mapper;
    private final NotificationRepository repository;
    private final SimpMessagingTemplate browsers;

    public NotificationSubscriber(
            NotificationMapper mapper, NotificationRepository repository, SimpMessagingTemplate browsers) {
        this.mapper = mapper;
        this.repository = repository;
        this.browsers = browsers;
    }

    @Override
    public void onMessage(Message message, byte[] pattern) {
        String channel = new String(message.getChannel(), StandardCharsets.UTF_8);
        try {
            NotificationDto dto = mapper.map(channel, message.getBody(), Instant.now());
            Notification row = repository.save(new Notification(dto, Instant.now()));
            browsers.convertAndSend("/topic/notifications", dto.stored(row.getId(), row.getCreatedAt()));
        } catch (Exception e) {
            log.warn("A message on {} was dropped: {}", channel, e.getMessage());
        }
    }
}
