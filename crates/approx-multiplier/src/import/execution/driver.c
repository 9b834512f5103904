/* The part of a program that is ours, in C and in C++: it reads pairs of operands, calls the function, and writes its
   products, all of them in decimal. The file with the function comes before it, and after that `approx_driver_product`.

   The function may do what it likes. What it prints goes to standard error, its input is empty, and what was computed until
   it ends the program in some way is written all the same: so it is known which operands it was called with. */
#undef main
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int approx_driver_input, approx_driver_output;
static char approx_driver_answers[1 << 16], approx_driver_questions[1 << 16], approx_driver_stack[1 << 16];
static volatile size_t approx_driver_filled;

static void approx_driver_flush(void) {
    size_t written = 0, filled = approx_driver_filled;
    while (written < filled) {
        ssize_t count = write(approx_driver_output, approx_driver_answers + written, filled - written);
        if (count <= 0) _exit(1);
        written += (size_t)count;
    }
    approx_driver_filled = 0;
}

/* A fault happens again on return from here, and then ends the program. */
static void approx_driver_fault(int number) {
    approx_driver_flush();
    if (number == SIGTERM) _exit(1);
}

static void approx_driver_answer(long long product) {
    char digits[24];
    size_t count = 0, filled;
    unsigned long long rest = product < 0 ? 0ULL - (unsigned long long)product : (unsigned long long)product;
    if (approx_driver_filled + sizeof digits > sizeof approx_driver_answers) approx_driver_flush();
    filled = approx_driver_filled;
    do digits[count++] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (product < 0) digits[count++] = '-';
    while (count > 0) approx_driver_answers[filled++] = digits[--count];
    approx_driver_answers[filled++] = '\n';
    approx_driver_filled = filled;
}

static void approx_driver_prepare(void) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM};
    stack_t stack;
    struct sigaction action;
    size_t index;
    int nothing = open("/dev/null", O_RDWR);
    approx_driver_input = dup(0);
    approx_driver_output = dup(1);
    if (nothing < 0 || approx_driver_input < 0 || approx_driver_output < 0) _exit(1);
    if (dup2(nothing, 0) < 0 || dup2(2, 1) < 0) _exit(1);
    stack.ss_sp = approx_driver_stack;
    stack.ss_size = sizeof approx_driver_stack;
    stack.ss_flags = 0;
    sigaltstack(&stack, NULL);
    sigemptyset(&action.sa_mask);
    action.sa_handler = approx_driver_fault;
    action.sa_flags = SA_ONSTACK | (int)SA_RESETHAND;
    for (index = 0; index < sizeof faults / sizeof *faults; index++) sigaction(faults[index], &action, NULL);
    atexit(approx_driver_flush);
}

int main(void) {
    long long operands[2] = {0, 0}, value = 0;
    int which = 0, negative = 0;
    approx_driver_prepare();
    for (;;) {
        ssize_t length = read(approx_driver_input, approx_driver_questions, sizeof approx_driver_questions), index;
        if (length <= 0) break;
        for (index = 0; index < length; index++) {
            char c = approx_driver_questions[index];
            if (c == '-') {
                negative = 1;
            } else if (c == ' ' || c == '\n') {
                operands[which] = negative ? -value : value;
                value = negative = 0;
                which = !which;
                if (c == '\n') approx_driver_answer(approx_driver_product(operands[0], operands[1]));
            } else {
                value = 10 * value + (c - '0');
            }
        }
        approx_driver_flush();
    }
    return 0;
}
