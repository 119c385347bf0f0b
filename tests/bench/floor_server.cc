// bench_floor PORT NODES [bare]: the floor on the same HTTP library: reads the body, answers
// constant bytes of the size of a real answer. Bare: the same on sockets alone, without any
// library, so that it shows what the library takes.
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include <httplib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

std::string ConstantAnswer(int nodes) {
  std::string constant = "[";
  for (int i = 0; i < nodes; ++i) {
    constant +=
        (i > 0 ? "," : "") + ("{\"Host\":\"node-" + std::to_string(10000 + i)) + "\",\"Score\":5}";
  }
  return constant + "]";
}

// One request after the other, until the client leaves. Trusts it: only the bench asks.
void ServeBare(int fd, const std::string& answer) {
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  std::string request;
  std::array<char, 1 << 16> buffer;
  while (true) {
    request.clear();
    std::size_t whole = 0;
    while (whole == 0 || request.size() < whole) {
      const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (n <= 0) {
        ::close(fd);
        return;
      }
      request.append(buffer.data(), static_cast<std::size_t>(n));
      const std::size_t end = request.find("\r\n\r\n");
      if (whole != 0 || end == std::string::npos) continue;
      constexpr std::string_view kLength = "Content-Length: ";
      whole = end + 4 +
              std::strtoul(request.c_str() + request.find(kLength) + kLength.size(), nullptr, 10);
    }
    for (std::size_t sent = 0; sent < answer.size();) {
      const ssize_t n = ::send(fd, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
  }
}

int RunBare(int port, const std::string& body) {
  const std::string answer =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 64) != 0)
    return 1;
  while (true) {
    const int fd = ::accept(listener, nullptr, nullptr);
    if (fd < 0) return 1;
    std::thread(ServeBare, fd, std::cref(answer)).detach();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int port = std::atoi(argv[1]);
  const std::string constant = ConstantAnswer(std::atoi(argv[2]));
  if (argc > 3) return RunBare(port, constant);
  httplib::Server server;
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1000000);
  server.set_keep_alive_timeout(120);
  server.Post("/v1/prioritize", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(constant, "application/json");
  });
  return server.listen("127.0.0.1", port) ? 0 : 1;
}
