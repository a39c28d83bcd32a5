// Relay passes on what each client sends, and what comes back, by `pipe`.
'use strict'
const net = require('node:net')

const [from, to] = process.argv.slice(2).map((addr) => {
  const [host, port] = addr.split(':')
  return { host, port }
})

net.createServer({ allowHalfOpen: true }, (client) => {
  const upstream = net.connect({ ...to, allowHalfOpen: true })
  client.pipe(upstream).pipe(client)
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
}).listen(from, () => console.log(`listening on ${from.host}:${from.port}`))
