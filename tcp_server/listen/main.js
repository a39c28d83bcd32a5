// Listen listens with a backlog of your choice: so many connections wait in the
// kernel until the program accepts them.
//
//	node tcp_server/listen/main.js --backlog 1
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, backlog } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  backlog: { type: 'string', default: '511' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

//weave:listen
// Unlike Go, Node has a parameter for the backlog, where 0 means 511. But Node accepts on its
// own whenever the event loop turns: only while the program computes does anybody wait in the queue.
const server = net.createServer((socket) => {
  socket.resume()
  socket.on('error', (err) => console.error(`listen: ${err.message}`)) // with no listener it would end the process
})
server.listen(port, host, +backlog, () => {
  // The number that was asked for: what the kernel made of it, Node does not tell.
  console.log(`listening on ${at(server.address())} with a backlog of ${backlog}`)
})
//weave:end
server.on('error', (err) => {
  console.error(`listen: ${err.message}`)
  process.exitCode = 1
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
