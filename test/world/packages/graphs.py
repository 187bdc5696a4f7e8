# Debian: python3-networkx
import networkx as nx
G = nx.karate_club_graph()
print(nx.shortest_path(G, 0, 26), nx.density(G), nx.is_connected(G), sorted(nx.degree_centrality(G).items(), key=lambda p:-p[1])[:2])
print(list(nx.topological_sort(nx.DiGraph([(1,2),(2,3),(1,3)]))), list(nx.generate_edgelist(nx.path_graph(3))))
