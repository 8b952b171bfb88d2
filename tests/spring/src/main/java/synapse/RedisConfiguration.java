package synapse;

import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.redis.connection.RedisConnectionFactory;
import org.springframework.data.redis.listener.PatternTopic;
import org.springframework.data.redis.listener.RedisMessageListenerContainer;
import org.springframework.data.redis.listener.adapter.MessageListenerAdapter;

/** Every message on the workbench's channels goes to the subscriber, on a thread of its own, so in no certain order. */
@Configuration
public class RedisConfiguration {

    @Bean
    RedisMessageListenerContainer notifications(RedisConnectionFactory redis, NotificationSubscriber subscriber) {
        RedisMessageListenerContainer container = new RedisMessageListenerContainer();
        container.setConnectionFactory(redis);
        container.addMessageListener(new MessageListenerAdapter(subscriber), new PatternTopic("workbench:*"));
        return container;
    }
}
