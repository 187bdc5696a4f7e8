#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
int main(int argc, char **argv) {
  std::map<std::string, int> words;
  for (std::string word; std::cin >> word;) words[word]++;
  std::ofstream out("/out/words");
  for (auto &[word, count] : words) out << word << ' ' << count << '\n';
  std::cout << argv[1] << ' ' << words.size() << std::endl;
  return (int)words.size();
}
