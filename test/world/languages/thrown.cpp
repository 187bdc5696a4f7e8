// Exceptions, what they unwind, and a heap that grows, as people write them in C++.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Held {
  std::string name;
  ~Held() { std::cout << "let go of " << name << "\n"; }
};

static int deeper(int left) {
  Held held{std::to_string(left)};
  if (left == 0) throw std::runtime_error("at the bottom");
  return deeper(left - 1) + 1;
}

int main(int argc, char **argv) {
  try {
    deeper(2);
  } catch (const std::exception &error) {
    std::cout << "caught " << error.what() << "\n";
  }
  try {
    try {
      std::vector<int>().at(argc);
    } catch (const std::out_of_range &) {
      std::cout << "out of range\n";
      throw;
    }
  } catch (...) {
    std::cout << "and again\n";
  }
  std::vector<std::unique_ptr<std::string>> many;
  for (int i = 0; i < 64; i++) many.push_back(std::make_unique<std::string>(1 << 20, 'a' + i % 26));
  std::ostringstream line;
  line << std::hex << many.size() << " " << (*many.back())[0];
  std::map<std::string, int> counts;
  for (int i = 1; i < argc; i++) counts[argv[i]]++;
  for (const auto &[word, count] : counts) line << " " << word << "=" << count;
  std::cout << line.str() << std::endl;
  if (argc > 3) throw std::logic_error("nobody catches this");
  return argc;
}
