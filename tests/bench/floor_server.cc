// bench_floor PORT NODES: the floor on the same HTTP library: reads the body, answers constant
// bytes of the size of a real answer.
#include <cstdlib>
#include <string>

#include <httplib.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::string constant = "[";
  for (int i = 0; i < std::atoi(argv[2]); ++i) {
    constant +=
        (i > 0 ? "," : "") + ("{\"Host\":\"node-" + std::to_string(10000 + i)) + "\",\"Score\":5}";
  }
  constant += "]";
  httplib::Server server;
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1000000);
  server.set_keep_alive_timeout(120);
  server.Post("/v1/prioritize", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(constant, "application/json");
  });
  return server.listen("127.0.0.1", std::atoi(argv[1])) ? 0 : 1;
}
