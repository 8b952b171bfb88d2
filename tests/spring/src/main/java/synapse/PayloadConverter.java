package synapse;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import jakarta.persistence.AttributeConverter;
import jakarta.persistence.Converter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The payload is kept as JSON text, written to bytes first: so half a surrogate pair is escaped, and survives. */
@Converter
public class PayloadConverter implements AttributeConverter<Map<String, Object>, String> {

    private static final TypeReference<Map<String, Object>> PAYLOAD = new TypeReference<>() {};

    private final ObjectMapper json;

    public PayloadConverter(ObjectMapper json) {
        this.json = json;
    }

    @Override
    public String convertToDatabaseColumn(Map<String, Object> payload) {
        try {
            return payload == null ? null : new String(json.writeValueAsBytes(payload), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public Map<String, Object> convertToEntityAttribute(String text) {
        try {
            return text == null ? null : json.readValue(text, PAYLOAD);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
