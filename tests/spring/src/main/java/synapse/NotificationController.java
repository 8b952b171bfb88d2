package synapse;

import java.util.List;
import org.springframework.data.domain.Page;
import org.springframework.data.domain.PageRequest;
import org.springframework.data.domain.Pageable;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.ServletRequestBindingException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.method.annotation.MethodArgumentTypeMismatchException;

/** A tenant's notifications, newest first, in pages; those without a tenant are stored as tenant 0. */
@RestController
public class NotificationController {

    private final NotificationRepository repository;

    public NotificationController(NotificationRepository repository) {
        this.repository = repository;
    }

    /** {@code page} and {@code size} choose; what is no number counts as not given. */
    @GetMapping("/api/synapse/notifications")
    ApiResponse<Listed> list(@RequestHeader("X-Tenant-ID") long tenantId, Pageable page) {
        Pageable unsorted = PageRequest.of(page.getPageNumber(), page.getPageSize());
        return ApiResponse.success(Listed.of(repository.findByTenantIdOrderByIdDesc(tenantId, unsorted)));
    }

    @ExceptionHandler({ServletRequestBindingException.class, MethodArgumentTypeMismatchException.class})
    @ResponseStatus(HttpStatus.BAD_REQUEST)
    ApiResponse<Void> refuse(Exception e) {
        return ApiResponse.error(e.getMessage());
    }

    /** Of Spring's page what a browser needs. */
    record Listed(
            List<NotificationDto> content,
            long totalElements,
            int totalPages,
            int size,
            int number,
            boolean first,
            boolean last) {

        static Listed of(Page<Notification> page) {
            return new Listed(
                    page.map(Notification::toDto).getContent(),
                    page.getTotalElements(),
                    page.getTotalPages(),
                    page.getSize(),
                    page.getNumber(),
                    page.isFirst(),
                    page.isLast());
        }
    }
}
