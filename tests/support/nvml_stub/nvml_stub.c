/* A libnvidia-ml.so.1 for tests: answers the real nvidia-ml-py from a text file.
 *
 * The file (its path in NVML_STUB_STATE) has one `key value` per line and is read anew at every call,
 * so a test can change the world under a running process. A key that is not there means "not
 * supported", which is how a profile says what its GPU cannot tell. Faults:
 *   fault.<function> <error code>     that function answers this code; `fault.*` all per-device ones
 *   hang.<function> <seconds>         that function sleeps first
 * Layouts of structures follow the public header of the library; only what pynvml passes is here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMED_OUT = 10 };
enum { DEVICES = 8, SLICES = 8 };
typedef unsigned long long u64;
typedef struct { int device, slice; } handle; /* slice -1: the whole GPU */

static handle handles[DEVICES][SLICES + 1];
static int opened, events_told;

static int text(const char *key, char *out, size_t size) {
    const char *path = getenv("NVML_STUB_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512];
    size_t length = strlen(key);
    int found = 0;
    if (!file) return 0;
    while (!found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, key, length) && line[length] == ' ') {
            snprintf(out, size, "%s", line + length + 1);
            found = 1;
        }
    }
    fclose(file);
    return found;
}

static int whole(const char *key, u64 *out) {
    char value[256];
    if (!text(key, value, sizeof value)) return 0;
    *out = strtoull(value, NULL, 0);
    return 1;
}

static int fault(const char *function, int per_device) {
    char key[128];
    u64 value;
    snprintf(key, sizeof key, "hang.%s", function);
    if (whole(key, &value)) sleep((unsigned)value);
    snprintf(key, sizeof key, "fault.%s", function);
    if (whole(key, &value)) return (int)value;
    if (per_device && whole("fault.*", &value)) return (int)value;
    return opened ? OK : UNINITIALIZED;
}

static int member(handle *h, const char *name, u64 *out) {
    char key[128];
    if (h->slice < 0) snprintf(key, sizeof key, "%d.%s", h->device, name);
    else snprintf(key, sizeof key, "%d.mig.%d.%s", h->device, h->slice, name);
    return whole(key, out) ? OK : NOT_SUPPORTED;
}

static int member_text(handle *h, const char *name, char *out, unsigned size) {
    char key[128];
    if (h->slice < 0) snprintf(key, sizeof key, "%d.%s", h->device, name);
    else snprintf(key, sizeof key, "%d.mig.%d.%s", h->device, h->slice, name);
    return text(key, out, size) ? OK : NOT_SUPPORTED;
}

#define GUARD() do { int code = fault(__func__, 1); if (code) return code; } while (0)
#define SMALL(function, name) \
    int function(handle *h, unsigned *out) { \
        u64 v; GUARD(); int code = member(h, name, &v); if (!code) *out = (unsigned)v; return code; }
#define LARGE(function, name) \
    int function(handle *h, u64 *out) { GUARD(); return member(h, name, out); }

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int was_open = opened, code;
    opened = 1;
    code = fault(__func__, 0);
    if (code) opened = was_open;
    return code;
}
int nvmlShutdown(void) { opened = 0; return OK; }
const char *nvmlErrorString(int code) { (void)code; return "stub error"; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    int code = fault(__func__, 0);
    if (code) return code;
    return text("driver", out, size) ? OK : NOT_SUPPORTED;
}
int nvmlDeviceGetCount_v2(unsigned *out) {
    u64 v;
    int code = fault(__func__, 0);
    if (code) return code;
    *out = whole("count", &v) ? (unsigned)v : 0;
    return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, handle **out) {
    GUARD();
    if (index >= DEVICES) return INVALID;
    handles[index][SLICES].device = (int)index;
    handles[index][SLICES].slice = -1;
    *out = &handles[index][SLICES];
    return OK;
}
int nvmlDeviceGetName(handle *h, char *out, unsigned n) { GUARD(); return member_text(h, "name", out, n); }
int nvmlDeviceGetUUID(handle *h, char *out, unsigned n) { GUARD(); return member_text(h, "uuid", out, n); }
SMALL(nvmlDeviceGetMinorNumber, "minor")
SMALL(nvmlDeviceGetPowerUsage, "power_milliwatts")
SMALL(nvmlDeviceGetEnforcedPowerLimit, "power_limit_milliwatts")
SMALL(nvmlDeviceGetGpuInstanceId, "gpu_instance_id")
SMALL(nvmlDeviceGetComputeInstanceId, "compute_instance_id")
SMALL(nvmlDeviceGetMaxMigDeviceCount, "mig_max")
LARGE(nvmlDeviceGetTotalEnergyConsumption, "energy_millijoules")
LARGE(nvmlDeviceGetCurrentClocksEventReasons, "clock_reasons")

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} pci;
int nvmlDeviceGetPciInfo_v3(handle *h, pci *out) { GUARD(); return member_text(h, "pci", out->bus_id, 32); }

int nvmlDeviceGetUtilizationRates(handle *h, unsigned *out) {
    u64 gpu, memory;
    GUARD();
    if (member(h, "busy_percent", &gpu) || member(h, "memory_busy_percent", &memory)) return NOT_SUPPORTED;
    out[0] = (unsigned)gpu;
    out[1] = (unsigned)memory;
    return OK;
}

typedef struct { unsigned version; u64 total, reserved, used_or_free[2]; } memory_v2;
int nvmlDeviceGetMemoryInfo_v2(handle *h, memory_v2 *out) {
    u64 used;
    GUARD();
    if (member(h, "memory_total", &out->total) || member(h, "memory_used", &used)) return NOT_SUPPORTED;
    if (member(h, "memory_reserved", &out->reserved)) out->reserved = 0;
    out->used_or_free[0] = out->total - used - out->reserved; /* free stands before used */
    out->used_or_free[1] = used;
    return OK;
}
int nvmlDeviceGetMemoryInfo(handle *h, u64 *out) {
    u64 used, total;
    GUARD();
    if (member(h, "memory_total", &total) || member(h, "memory_used", &used)) return NOT_SUPPORTED;
    out[0] = total;
    out[1] = total - used;
    out[2] = used;
    return OK;
}

typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } process;
int nvmlDeviceGetComputeRunningProcesses_v3(handle *h, unsigned *count, process *out) {
    u64 there = 0, v;
    char name[64];
    unsigned room = *count;
    GUARD();
    if (member(h, "processes", &there)) return NOT_SUPPORTED;
    *count = (unsigned)there;
    if (there == 0) return OK;
    if (out == NULL || room < there) return TOO_SMALL;
    for (unsigned i = 0; i < there; i++) {
        snprintf(name, sizeof name, "process.%u.pid", i);
        out[i].pid = member(h, name, &v) ? 0 : (unsigned)v;
        snprintf(name, sizeof name, "process.%u.used", i);
        out[i].used = member(h, name, &v) ? ~0ULL : v;
        snprintf(name, sizeof name, "process.%u.gpu_instance", i);
        out[i].gpu_instance = member(h, name, &v) ? ~0U : (unsigned)v;
        out[i].compute_instance = ~0U;
    }
    return OK;
}

typedef struct { unsigned version, sensor; int value; } temperature;
int nvmlDeviceGetTemperatureV(handle *h, temperature *out) {
    u64 v;
    GUARD();
    int code = member(h, "temperature", &v);
    if (!code) out->value = (int)v;
    return code;
}

int nvmlDeviceGetClockInfo(handle *h, int type, unsigned *out) {
    u64 v;
    GUARD();
    int code = member(h, type == 1 ? "sm_megahertz" : type == 2 ? "memory_megahertz" : "?", &v);
    if (!code) *out = (unsigned)v;
    return code;
}

int nvmlDeviceGetTotalEccErrors(handle *h, int error, int counter, u64 *out) {
    char name[32];
    GUARD();
    snprintf(name, sizeof name, "ecc.%d.%d", error, counter); /* 1 uncorrected . 1 lifetime */
    return member(h, name, out);
}

int nvmlDeviceGetRemappedRows(handle *h, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
    char value[64];
    GUARD();
    if (member_text(h, "remapped_rows", value, sizeof value)) return NOT_SUPPORTED;
    return sscanf(value, "%u %u %u %u", a, b, c, d) == 4 ? OK : INVALID;
}

int nvmlDeviceGetNvLinkState(handle *h, unsigned link, unsigned *out) {
    u64 links;
    GUARD();
    if (member(h, "nvlinks", &links)) return NOT_SUPPORTED;
    if (link >= links) return INVALID;
    *out = 1;
    return OK;
}

typedef struct {
    unsigned field, scope;
    long long when, took;
    unsigned type;
    int code;
    union { double d; unsigned ui; unsigned long ul; u64 ull; } value;
} field_value;
int nvmlDeviceGetFieldValues(handle *h, int count, field_value *values) {
    char name[32];
    u64 v;
    GUARD();
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "field.%u", values[i].field);
        values[i].code = member(h, name, &v);
        values[i].type = 3;
        if (!values[i].code) values[i].value.ull = v;
    }
    return OK;
}

int nvmlDeviceGetMigMode(handle *h, unsigned *current, unsigned *pending) {
    u64 v;
    GUARD();
    if (member(h, "mig_mode", &v)) return NOT_SUPPORTED;
    *current = (unsigned)v;
    *pending = member(h, "mig_pending", &v) ? *current : (unsigned)v;
    return OK;
}
int nvmlDeviceGetMigDeviceHandleByIndex(handle *h, unsigned index, handle **out) {
    char key[64], value[128];
    GUARD();
    snprintf(key, sizeof key, "%d.mig.%u.uuid", h->device, index);
    if (index >= SLICES || !text(key, value, sizeof value)) return NOT_FOUND;
    handles[h->device][index].device = h->device;
    handles[h->device][index].slice = (int)index;
    *out = &handles[h->device][index];
    return OK;
}

int nvmlEventSetCreate(void **out) { GUARD(); *out = &events_told; return OK; }
int nvmlEventSetFree(void *set) { (void)set; return OK; }
int nvmlDeviceRegisterEvents(handle *h, u64 types, void *set) {
    u64 v;
    (void)types, (void)set;
    GUARD();
    return member(h, "events", &v);
}
typedef struct { handle *device; u64 type, data; unsigned gpu_instance, compute_instance; } event;
int nvmlEventSetWait_v2(void *set, event *out, unsigned timeout_milliseconds) {
    char key[32], value[64];
    unsigned device, xid;
    (void)set, (void)timeout_milliseconds;
    GUARD();
    snprintf(key, sizeof key, "event.%d", events_told); /* value: <device> <xid> */
    if (!text(key, value, sizeof value)) return TIMED_OUT;
    if (sscanf(value, "%u %u", &device, &xid) != 2 || device >= DEVICES) return INVALID;
    events_told++;
    out->device = &handles[device][SLICES];
    out->type = 8;
    out->data = xid;
    return OK;
}
