// Listen shows the backlog: how many finished connections the kernel keeps.
//
//	node tcp_server/listen/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, backlog } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  backlog: { type: 'string', default: '511' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// Unlike Go, Node has a parameter for it. But it accepts at once, whatever the
// program does, and so nobody ever waits in the queue for long.
const server = net.createServer((socket) => {
  socket.resume()
  socket.on('error', (err) => console.error(`listen: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`listen: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, +backlog, () => {
  const { address, port } = server.address()
  console.log(`listening on ${at(address, port)} with a backlog of ${backlog}`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
