import configparser
config = configparser.ConfigParser()
config['DEFAULT'] = {'ServerAliveInterval': '45', 'Compression': 'yes'}
config['forge.example'] = {'User': 'hg', 'path': '%(user)s/x'}
with open('example.ini', 'w') as f:
    config.write(f)
c = configparser.ConfigParser()
print(c.read('example.ini'), c.sections(), c['forge.example']['path'], c.getboolean('DEFAULT', 'compression'))
