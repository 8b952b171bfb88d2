package synapse;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.time.LocalDateTime;
import java.time.ZoneOffset;

/** The envelope of every answer; its timestamp has no zone, and is UTC. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ApiResponse<T>(String status, String message, T data, boolean success, LocalDateTime timestamp) {

    static <T> ApiResponse<T> success(T data) {
        return new ApiResponse<>("SUCCESS", "OK", data, true, LocalDateTime.now(ZoneOffset.UTC));
    }

    static <T> ApiResponse<T> error(String message) {
        return new ApiResponse<>("ERROR", message, null, false, LocalDateTime.now(ZoneOffset.UTC));
    }
}
