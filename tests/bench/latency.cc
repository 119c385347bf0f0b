// bench_latency PORT PATH BODY_FILE COUNT: posts the file COUNT times over one connection, and
// prints the median and the 99th percentile of the round trips, in microseconds.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/text.h"

namespace {

bool SendAll(int fd, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

// One whole answer into `answer`; false unless it is a 200.
bool ReadAnswer(int fd, std::string& answer) {
  answer.clear();
  std::array<char, 1 << 16> buffer;
  std::size_t whole = 0;
  while (whole == 0 || answer.size() < whole) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) return false;
    answer.append(buffer.data(), static_cast<std::size_t>(n));
    const std::size_t end = answer.find("\r\n\r\n");
    if (whole != 0 || end == std::string::npos) continue;
    const std::size_t at = answer.find("Content-Length: ");
    const std::size_t stop = answer.find('\r', at);
    if (at == std::string::npos) return false;
    whole = end + 4 +
            static_cast<std::size_t>(
                sobre::ParseInteger(answer.substr(at + 16, stop - at - 16)).value_or(0));
  }
  return answer.starts_with("HTTP/1.1 200");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) return 2;
  std::ifstream file(argv[3], std::ios::binary);
  const std::string body{std::istreambuf_iterator<char>(file), {}};
  const auto port = static_cast<std::uint16_t>(sobre::ParseInteger(argv[1]).value_or(0));
  const auto count = static_cast<std::size_t>(sobre::ParseInteger(argv[4]).value_or(1));
  // From one request to the next; without it, as fast as answers come.
  const std::chrono::microseconds pause(argc == 6 ? sobre::ParseInteger(argv[5]).value_or(0) : 0);
  const std::string request =
      std::string("POST ") + argv[2] +
      " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 1;
  std::vector<double> microseconds;
  std::string answer;
  const std::size_t warm_up = count / 10 + 1;
  for (std::size_t i = 0; i < count + warm_up; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (!SendAll(fd, request) || !ReadAnswer(fd, answer)) {
      std::fprintf(stderr, "no answer: %s\n", answer.substr(0, 300).c_str());
      return 1;
    }
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    if (i >= warm_up) microseconds.push_back(took.count());
    if (pause.count() > 0) std::this_thread::sleep_until(start + pause);
  }
  std::sort(microseconds.begin(), microseconds.end());
  std::printf("%.1f %.1f\n", microseconds[count / 2], microseconds[count * 99 / 100]);
  std::fflush(stdout);
  // The connection stays until whoever asked has looked at the server's thread behind it.
  while (std::getchar() != EOF) {
  }
  return 0;
}
